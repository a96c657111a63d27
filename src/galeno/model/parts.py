"""The parts of a model as files of a package, format 1. No file can hold code.

study.json       the resolved study, without the source of its records
features.*       the assembler's own files
backbone.onnx, sentences.onnx, sentences.json, tokenizer.json   models that describe images and texts
model.json       members (columns, classes, weight, link, parity), calibration, decision, conformal
members/N.onnx   the graph of member N; N.ubj or N.txt beside it is the booster's own format
reference.json   what the training records looked like
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from galeno.errors import PackageError
from galeno.features.assemble import Assembler
from galeno.features.describer import Describer
from galeno.model.calibration import Calibration
from galeno.model.conformal import ConformalSet
from galeno.model.decision import DecisionRule
from galeno.model.ensemble import Ensemble, Link, Member
from galeno.model.reference import Reference
from galeno.storage.atomic import write_bytes, write_json
from galeno.study import Study

FORMAT = 1

_REMEDY = "Take an undamaged copy of the package, or run the study again"


@dataclass(frozen=True, slots=True)
class ModelParts:
    """Everything that was fitted.

    Raises:
        PackageError: the parts do not fit together.
    """

    study: Study
    assembler: Assembler
    """From typed records to the feature matrix."""
    describer: Describer
    """What is said of sounds, images and texts before the assembler sees them."""
    ensemble: Ensemble
    """From the matrix to probabilities."""
    calibration: Calibration
    """Makes them mean what they say."""
    decision: DecisionRule
    """Which condition is named first."""
    conformal: ConformalSet
    """Which conditions are not ruled out."""
    reference: Reference
    """What the training records looked like."""

    def __post_init__(self) -> None:
        k, d = self.ensemble.n_classes, self.ensemble.n_features
        optional = (self.calibration.bias, self.calibration.curves, self.decision.offsets)
        sizes = {k, len(self.decision.weights), *(len(values) for values in optional if values)}
        if sizes != {len(self.study.classes)} or d != len(self.assembler.names):
            raise PackageError(
                "the parts of the model do not fit together", where=self.study.name, remedy=_REMEDY
            )

    def save(self, folder: Path) -> tuple[str, ...]:
        """Write the files; sealing is left to the caller.

        Returns:
            Names of the files written, relative to the folder: what makes the package's identity.
        """
        (folder / "members").mkdir(parents=True, exist_ok=True)
        self.assembler.save(folder)
        names = ["study.json", "model.json", "reference.json"]
        names += sorted(path.name for path in folder.glob("features.*"))
        names += self.describer.save(folder)
        study = self.study.model_dump(mode="json")
        # Where the records come from is a path or a server of the hospital; provenance.json may tell it.
        study["records"]["source"] = "package"
        study["records"]["files"] = ""
        for section, key in (("image", "backbone"), ("text", "model")):
            if study["features"][section][key]:
                study["features"][section][key] = "package"
        write_json(folder / "study.json", study)
        write_json(folder / "reference.json", self.reference.to_dict())
        content = {
            "format": FORMAT,
            "classes": list(self.study.class_names),
            "features": len(self.assembler.names),
            "members": [_describe_member(member) for member in self.ensemble.members],
            "calibration": self.calibration.to_dict(),
            "decision": self.decision.to_dict(),
            "conformal": self.conformal.to_dict(),
        }
        write_json(folder / "model.json", content)
        for number, member in enumerate(self.ensemble.members):
            names += _write_member(folder, number, member)
        return tuple(names)

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> Self:
        """Read what `save` wrote; hashes are not checked here.

        Raises:
            PackageError: a file is missing, damaged or of another format.
        """
        try:
            content = _read_json(folder / "model.json")
            if content["format"] != FORMAT:
                raise PackageError(
                    f"not of format {FORMAT}, the one known here",
                    where=str(folder / "model.json"),
                    remedy="Update galeno to open it",
                )
            members = [_read_member(folder, number, about) for number, about in enumerate(content["members"])]
            study = Study.model_validate(_read_json(folder / "study.json"))
            return cls(
                study=study,
                describer=Describer.load(folder, study),
                assembler=Assembler.load(folder),
                ensemble=Ensemble(members, len(content["classes"]), content["features"], threads=threads),
                calibration=Calibration.from_dict(content["calibration"]),
                decision=DecisionRule.from_dict(content["decision"]),
                conformal=ConformalSet.from_dict(content["conformal"]),
                reference=Reference.from_dict(_read_json(folder / "reference.json")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PackageError(
                f"a part is not as this version of galeno writes it ({type(error).__name__})",
                where=str(folder),
                remedy=_REMEDY,
            ) from None


def _read_json(path: Path) -> Any:
    return json.loads(_read_bytes(path))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PackageError(
            f"cannot be read ({type(error).__name__})", where=str(path), remedy=_REMEDY
        ) from None


def _write_member(folder: Path, number: int, member: Member) -> list[str]:
    files = {f"members/{number}.onnx": member.onnx}
    if member.has_native and member.native is not None:
        files[f"members/{number}.{member.native_suffix}"] = member.native
    for name, content in files.items():
        write_bytes(folder / name, content)
    return list(files)


def _describe_member(member: Member) -> dict[str, Any]:
    native = {"suffix": member.native_suffix, "parity": member.native_parity}
    return {
        "name": member.name,
        "weight": member.weight,
        "columns": _to_spans(member.columns),
        "classes": member.class_index.tolist(),
        "link": member.link.to_dict(),
        "parity": member.parity,
        "native": native if member.has_native else None,
    }


def _read_member(folder: Path, number: int, about: Mapping[str, Any]) -> Member:
    native = about["native"] or {"suffix": "", "parity": None}
    suffix = native["suffix"]
    if suffix not in ("", "ubj", "txt"):
        raise PackageError(
            "a booster format is not known here", where=str(folder / "model.json"), remedy=_REMEDY
        )
    return Member(
        name=about["name"],
        onnx=_read_bytes(folder / f"members/{number}.onnx"),
        columns=_from_spans(about["columns"]),
        class_index=np.asarray(about["classes"], dtype=np.int64),
        weight=float(about["weight"]),
        link=Link.from_dict(about["link"]),
        native=_read_bytes(folder / f"members/{number}.{suffix}") if suffix else None,
        native_suffix=suffix,
        parity=about["parity"],
        native_parity=native["parity"],
    )


def _to_spans(columns: NDArray[np.int64]) -> list[list[int]]:
    """Runs of consecutive columns as [first, last + 1]: text models see tens of thousands."""
    breaks = np.flatnonzero(np.diff(columns) != 1) + 1
    return [[int(run[0]), int(run[-1]) + 1] for run in np.split(columns, breaks) if len(run)]


def _from_spans(spans: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    runs = [np.arange(first, last, dtype=np.int64) for first, last in spans]
    return np.concatenate(runs) if runs else np.zeros(0, dtype=np.int64)
