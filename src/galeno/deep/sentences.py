"""A language model that the user names by its folder, as ONNX with its tokenizer.

Taken are Hugging Face encoders and sentence-transformers (Reimers & Gurevych, EMNLP 2019) whose weights
are safetensors and whose tokenizer is the fast one. No code of the folder is run, nothing is fetched,
and weights that are pickles (`pytorch_model.bin`) are not opened.
"""

import json
from pathlib import Path
from typing import Any

from galeno.deep.extra import require_deep
from galeno.errors import SourceError

MOST_BYTES = 1024 * 1024 * 1024
LONGEST = 512
"""Most tokens of a text; longer ones are cut."""
_MOST_JSON = 64 * 1024 * 1024
_POOLINGS = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}
_REMEDY = (
    "Name a folder with config.json, model.safetensors and tokenizer.json, as save_pretrained "
    "or SentenceTransformer.save writes it."
)


def export_sentences(folder: Path) -> tuple[bytes, bytes, dict[str, Any]]:
    """Read an encoder of sentences.

    Args:
        folder: of a sentence-transformer (with `modules.json`), whose pooling and length are taken, or of a
            Hugging Face encoder, whose tokens are averaged.

    Returns:
        ONNX from `ids` and `mask`, int64 (n, tokens), to `y`, float32 (n, width), of length one; the bytes
        of tokenizer.json; and settings: `max_length` in tokens, `pooling` (mean, cls), `lower` (whether texts
        are lowercased first), `prompt` (put before each text), `width`.

    Raises:
        MissingExtraError: torch, transformers or tokenizers is not installed.
        SourceError: files are missing, damaged or too large, or it is built otherwise than described.
        LearningError: an operation of the model has no counterpart in ONNX.
        ParityError: the export answers otherwise than the model.
    """
    require_deep("a language model for text", "torch", "transformers", "tokenizers")
    home, pooling, stated = _layout(folder)
    weights = sorted(home.glob("*.safetensors"))
    if not weights or not (home / "config.json").is_file():
        raise SourceError("no config.json with safetensors beside it", where=folder.name, remedy=_REMEDY)
    if sum(file.stat().st_size for file in weights) > MOST_BYTES:
        raise SourceError(f"the model is larger than {MOST_BYTES >> 20} MiB", where=folder.name)
    tokenizer = _tokenizer(home, folder.name)
    from galeno.deep.language import export_language

    graph, width, longest = export_language(home, pooling, where=folder.name)
    settings = {
        "max_length": min(LONGEST, longest, int(stated.get("max_seq_length") or LONGEST)),
        "pooling": pooling,
        "lower": bool(stated.get("do_lower_case", False)),
        "prompt": _prompt(folder),
        "width": width,
    }
    return graph, tokenizer, settings


def _layout(folder: Path) -> tuple[Path, str, dict[str, Any]]:
    """Folder of the encoder, pooling, and what sentence-transformers stated of it."""
    if not folder.is_dir():
        raise SourceError("no such folder", where=folder.name, remedy=_REMEDY)
    modules = _json(folder / "modules.json", [])
    if not modules:
        return folder, "mean", {}
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise SourceError("modules.json is no list of modules", where=folder.name, remedy=_REMEDY)
    kinds = {
        str(module.get("type", "")).rpartition(".")[2]: str(module.get("path", "")) for module in modules
    }
    if set(kinds) - {"Normalize"} != {"Transformer", "Pooling"} or len(kinds) != len(modules):
        raise SourceError(
            "a sentence-transformer of other parts than Transformer, Pooling and Normalize", where=folder.name
        )
    home, pooled = (_inside(folder, kinds[kind]) for kind in ("Transformer", "Pooling"))
    return home, _pooling(pooled / "config.json", folder.name), _json(home / "sentence_bert_config.json", {})


def _inside(folder: Path, name: str) -> Path:
    if name.startswith(("/", "\\")) or ".." in Path(name).parts:
        raise SourceError("modules.json leads out of the folder", where=folder.name)
    return folder / name


def _pooling(path: Path, where: str) -> str:
    config = _json(path, {})
    chosen = {key for key, value in config.items() if key.startswith("pooling_mode_") and value is True}
    named = config.get("pooling_mode")
    for name, key in _POOLINGS.items():
        if chosen == {key} or (not chosen and named in (name, [name])):
            return name
    raise SourceError("its pooling is neither the mean nor the first token", where=where)


def _prompt(folder: Path) -> str:
    config = _json(folder / "config_sentence_transformers.json", {})
    prompts, name = config.get("prompts") or {}, config.get("default_prompt_name")
    return str(prompts.get(name, "")) if name and isinstance(prompts, dict) else ""


def _tokenizer(home: Path, where: str) -> bytes:
    import tokenizers

    path = home / "tokenizer.json"
    if not path.is_file() or path.stat().st_size > _MOST_JSON:
        raise SourceError("no tokenizer.json of a bearable size", where=where, remedy=_REMEDY)
    data = path.read_bytes()
    try:
        tokenizers.Tokenizer.from_buffer(data)
    except Exception as error:
        # The library, written in Rust, raises bare exceptions.
        raise SourceError(f"tokenizer.json is damaged ({type(error).__name__})", where=where) from None
    return data


def _json(path: Path, absent: Any) -> Any:
    """What a JSON file holds, of the same type as `absent`, which stands for no file."""
    if not path.is_file():
        return absent
    try:
        value = json.loads(path.read_bytes()) if path.stat().st_size <= _MOST_JSON else None
    except (ValueError, OSError, RecursionError):
        value = None
    if not isinstance(value, type(absent)):
        raise SourceError(f"{path.name} is damaged", where=path.parent.name, remedy=_REMEDY)
    return value
