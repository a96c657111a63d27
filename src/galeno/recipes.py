"""What a study says of the way from a record to numbers, modality by modality."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from galeno.section import Section

DISEASE_ID = r"^(OMIM|ORPHA|DECIPHER|MONDO):[0-9]+$"
"""A disease as OMIM, Orphanet, DECIPHER or Mondo number it."""
DiseaseId = Annotated[str, Field(pattern=DISEASE_ID)]


class TableFeatures(Section):
    """How plain columns become numbers."""

    scale: Literal["none", "standard", "robust"] = Field("standard", description="Scaling of numbers.")
    one_hot_up_to: int = Field(
        12, ge=2, description="Categories with more levels than this are target-encoded (cross-fitted)."
    )
    quantile_copies: bool = Field(
        True, description="Adds a rank-transformed copy of skewed numbers, which helps linear models."
    )


class TextFeatures(Section):
    """How free text becomes numbers; works offline, in Spanish and English."""

    words: int = Field(2, ge=0, le=3, description="Longest word n-gram; 0 for none.")
    characters: int = Field(5, ge=0, le=6, description="Longest character n-gram; 0 for none.")
    max_terms: int = Field(20000, ge=100, description="At most this many n-grams a column and kind.")
    negation: bool = Field(
        True, description="Marks words that follow a negation (no, sin, niega, not, without, denies)."
    )
    svd: int = Field(64, ge=0, le=512, description="Dense components for tree models; 0 for none.")
    model: str = Field(
        "",
        description="A sentence-transformer or Hugging Face encoder, by the path of its folder on this "
        "machine (extra `deep`), whose vectors stand beside the n-grams; relative to the study file.",
    )


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Entries = Annotated[tuple[DiseaseId, ...], BeforeValidator(_listed)]


class PhenotypeFeatures(Section):
    """How columns of HPO terms become numbers."""

    groups: int = Field(
        256,
        ge=0,
        le=4096,
        description="At most this many groups a column: a term with all that are a kind of it, which enough "
        "training patients have; 0 for none.",
    )
    diseases: dict[str, Entries] = Field(
        default_factory=dict,
        description="Class name to the disease it is, or a list of them (`OMIM:154700`, `ORPHA:558`, "
        "`DECIPHER:1`, `MONDO:0007947`): such a class gets log-likelihood ratios from the HPO's annotations. "
        "Empty: taken from `fhir.classes`, or from class names and values that are such ids.",
    )
    knowledge: Literal["auto", "required", "optional", "none"] = Field(
        "auto",
        description="Whether learning uses the HPO files of the extra `rare`. optional: where they are "
        "there, else terms are taken as they are. auto: required where `diseases` names any, else optional. "
        "A model that was learned with them answers without them.",
    )


Network = Literal["auto", "required", "none"]


class AudioFeatures(Section):
    """How sounds become numbers."""

    components: int = Field(
        5, ge=1, le=256, description="Directions (PCA) kept of each kind of numbers of a sound."
    )
    network: Network = Field(
        "none",
        description="A small convolutional network on the log-mel picture, beside the descriptors; needs the "
        "extra `deep` to learn, nothing to answer. auto: where torch is installed.",
    )


class ImageFeatures(Section):
    """How images become numbers."""

    size: Literal[28, 32, 48, 64] = Field(28, description="Side, in pixels, that images are brought to.")
    components: int = Field(
        64,
        ge=1,
        le=256,
        description="Directions (PCA) kept of each kind of numbers of an image.",
    )
    network: Network = Field(
        "none",
        description="A small residual network, beside the descriptors; needs the extra `deep` to learn, "
        "nothing to answer. auto: where torch is installed.",
    )
    flip: bool = Field(
        False, description="Whether a mirrored image means the same; not for a chest, whose heart is left."
    )
    backbone: str = Field(
        "",
        description="A network to learn from, by the path of a file on this machine: `.onnx`, or TorchScript "
        "(`.pt`). Its output is one row of numbers an image; relative to the study file.",
    )
    backbone_size: int = Field(224, ge=16, le=1024, description="Side of the images that it takes.")
    fine_tune: bool = Field(
        False, description="Train the backbone on (TorchScript only), instead of taking it as it is."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fine_tune and not self.backbone:
            raise ValueError("fine_tune needs a backbone")
        if self.fine_tune and self.network == "required":
            raise ValueError("fine_tune trains the backbone; set network to none")
        return self


class Features(Section):
    """How a record becomes one row of the feature matrix."""

    table: TableFeatures = Field(default_factory=TableFeatures, description="Plain columns.")
    text: TextFeatures = Field(default_factory=TextFeatures, description="Free text.")
    phenotype: PhenotypeFeatures = Field(default_factory=PhenotypeFeatures, description="HPO terms.")
    audio: AudioFeatures = Field(default_factory=AudioFeatures, description="Sounds.")
    image: ImageFeatures = Field(default_factory=ImageFeatures, description="Images.")
    fusion: Literal["auto", "early", "late", "both"] = Field(
        "auto",
        description="early: candidates see the numbers of all modalities side by side. late: they see what "
        "each modality says by itself (log-probabilities learned out of fold). both: either, and both "
        "together; the best by cross-validation are taken. auto: both where a sound or an image stands "
        "beside another modality, else early.",
    )
    reduce: Literal["none", "pca", "lda"] = Field("none", description="Projection appended to the matrix.")
    components: int = Field(16, ge=1, le=512, description="Columns of that projection, at most.")
    select: int | None = Field(
        None,
        ge=1,
        description="Keep only this many best feature columns (ANOVA F, on training rows); null keeps all.",
    )
