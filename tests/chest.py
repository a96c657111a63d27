"""A small chest clinic: 90 made-up patients with an X-ray, a breath sound and an age. Seeded."""

import io
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

CANARY = "XQJZKW"
"""Stands in patient ids and in the headers of files; a clean content never holds it."""
RATE = 4000

STUDY = """\
name: chest
records:
  source: chest.csv
  target: condition
  patient: mrn
classes:
  - {name: well, values: [W]}
  - {name: ill, values: [I]}
columns:
  age: {type: number, min: 0, max: 120}
  xray: {type: image}
  breath: {type: sound}
split: {folds: 2}
learning:
  budget: {trials: 1}
  families: [logistic]
  balance: [none]
evaluation:
  bootstrap: 20
fhir:
  columns:
    age: {resource: Patient, element: age}
"""


def draw_xray(*, ill: bool, seed: int = 0, side: int = 24) -> bytes:
    """A PNG that names its patient in a text chunk; the ill have a bright spot."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(90, 12, (side, side))
    if ill:
        pixels[side // 2 : side // 2 + 7, 4:12] += 110
    header = PngInfo()
    header.add_text("PatientName", f"{CANARY}{seed:04d}")
    made = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(made, "PNG", pnginfo=header)
    return made.getvalue()


def record_breath(*, ill: bool, seed: int = 0, seconds: float = 1.0) -> bytes:
    """A WAV of breath noise; the ill wheeze."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(RATE * seconds)) / RATE
    sound = rng.normal(0, 0.05, time.size) + (0.2 * np.sin(2 * np.pi * 420 * time) if ill else 0)
    made = io.BytesIO()
    with soundfile.SoundFile(made, "w", RATE, 1, "PCM_16", format="WAV") as file:
        file.artist = f"{CANARY}{seed:04d}"
        file.write(sound)
    return made.getvalue()


def open_chest(folder: Path, n: int = 90) -> Path:
    """Write the table, its files and the study into a folder.

    Returns:
        path of the study file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["mrn,age,xray,breath,condition"]
    for number in range(n):
        ill = number % 2 == 1
        (folder / f"x{number}.png").write_bytes(draw_xray(ill=ill, seed=number))
        (folder / f"b{number}.wav").write_bytes(record_breath(ill=ill, seed=number))
        breath = "" if number % 10 == 3 else f"b{number}.wav"
        rows.append(f"{CANARY}{number:04d},{30 + number % 40},x{number}.png,{breath},{'WI'[ill]}")
    (folder / "chest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    path = folder / "chest.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path
