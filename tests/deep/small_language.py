"""A language model of a few thousand numbers, made here, in the folder layouts that people have."""

import json
from pathlib import Path

WORDS = ["fever", "cough", "pain", "no", "in", "the", "chest", "for", "two", "days", "wheeze", "dry"]


def make_language(folder: Path, kind: str = "bert") -> Path:
    """An encoder with random weights and a tokenizer by words, as save_pretrained leaves them."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=12)
    sizes = {
        "vocab_size": len(names),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
    }
    config = transformers.RobertaConfig if kind == "roberta" else transformers.BertConfig
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(config(**sizes, pad_token_id=0))
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def make_sentence_transformer(folder: Path, pooling: str = "cls") -> Path:
    """The same, in the layout of sentence-transformers."""
    make_language(folder / "0_Transformer")
    write(
        folder / "0_Transformer" / "sentence_bert_config.json", {"max_seq_length": 6, "do_lower_case": True}
    )
    modules = [("0_Transformer", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    write(
        folder / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
            for i, (path, name) in enumerate(modules)
        ],
    )
    write(
        folder / "1_Pooling" / "config.json",
        {f"pooling_mode_{pooling}_token": True, "word_embedding_dimension": 16},
    )
    write(
        folder / "config_sentence_transformers.json",
        {"prompts": {"query": "pain "}, "default_prompt_name": "query"},
    )
    return folder


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
