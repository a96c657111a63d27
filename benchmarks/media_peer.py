"""Run by benchmarks/media.py: describe the same sounds with librosa and the same images with scikit-image.

Takes a folder with `sounds-RATE.npy` (sounds, samples) and `images.npy` (images, height, width), and a number
of processes for the images. For each line on standard input that names one of these files it does the work
once, and answers with a line of JSON: `wall` and `cpu` in seconds, `numbers` made of each.
"""

import json
import multiprocessing
import os
import sys
import time
from multiprocessing.pool import Pool
from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog, local_binary_pattern

RATE, FRAME, HOP, POINTS, MELS, CEPSTRA = 4000, 256, 100, 512, 64, 13


def describe_sound(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Resampled, log-mel, cepstrum with slopes, contrast, shape of the spectrum; statistics over frames."""
    sound = samples if rate == RATE else librosa.resample(samples, orig_sr=rate, target_sr=RATE)
    power = np.abs(librosa.stft(sound, n_fft=POINTS, win_length=FRAME, hop_length=HOP)) ** 2
    mel = librosa.feature.melspectrogram(S=power, sr=RATE, n_fft=POINTS, n_mels=MELS, fmin=60, fmax=1900)
    levels = librosa.power_to_db(mel)
    cepstrum = librosa.feature.mfcc(S=levels, n_mfcc=CEPSTRA)
    size = np.sqrt(power)
    over_time = [
        levels,
        cepstrum,
        librosa.feature.delta(cepstrum),
        librosa.feature.delta(cepstrum, order=2),
        librosa.feature.spectral_contrast(S=size, sr=RATE, n_fft=POINTS, fmin=60, n_bands=4),
        librosa.feature.spectral_centroid(S=size, sr=RATE, n_fft=POINTS),
        librosa.feature.spectral_bandwidth(S=size, sr=RATE, n_fft=POINTS),
        librosa.feature.spectral_flatness(S=size),
        librosa.feature.spectral_rolloff(S=size, sr=RATE, n_fft=POINTS, roll_percent=0.5),
        librosa.feature.spectral_rolloff(S=size, sr=RATE, n_fft=POINTS, roll_percent=0.85),
    ]
    rows = np.concatenate(over_time)
    quantiles = np.quantile(rows, (0.1, 0.5, 0.9), axis=1)
    return np.concatenate([rows.mean(axis=1), rows.std(axis=1), quantiles.ravel()]).astype(np.float32)


def describe_image(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Gradients in two grids of cells, and uniform patterns of two radii in 4 x 4 regions."""
    side = len(pixels)
    parts = [
        hog(pixels, orientations=8, pixels_per_cell=(side // grid,) * 2, cells_per_block=(2, 2))
        for grid in (7, 4)
    ]
    region = side // 4
    for radius in (1, 2):
        kinds = local_binary_pattern(pixels, 8, radius, "uniform").astype(np.int64)
        for row in range(4):
            for column in range(4):
                own = kinds[row * region : (row + 1) * region, column * region : (column + 1) * region]
                parts.append(np.bincount(own.ravel(), minlength=10) / own.size)
    return np.concatenate(parts).astype(np.float32)


def describe_images(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """In a process of its own: what it made, and the processor time that it took."""
    start = time.process_time()
    made = np.stack([describe_image(image) for image in pixels])
    return made, time.process_time() - start


def measure(folder: Path, name: str, pool: Pool) -> dict[str, float]:
    """Do the work of one file once."""
    held = np.load(folder / f"{name}.npy")
    start, used = time.perf_counter(), time.process_time()
    if name == "images":
        done = pool.map(describe_images, [held[at : at + 64] for at in range(0, len(held), 64)], chunksize=1)
        numbers, cpu = done[0][0].shape[1], sum(each for _, each in done)
    else:
        rate = int(name.partition("-")[2])
        made = [describe_sound(samples, rate) for samples in held]
        numbers = len(made[0])
        cpu = time.process_time() - used
    return {"wall": time.perf_counter() - start, "cpu": cpu, "numbers": numbers}


def main() -> None:
    """Answer line by line."""
    folder, processes = Path(sys.argv[1]), int(sys.argv[2])
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        # The first call compiles.
        for name in sorted(path.stem for path in folder.glob("*.npy")):
            measure(folder, name, pool)
        versions = f"librosa {librosa.__version__}, scikit-image {version_of('scikit-image')}"
        sys.stdout.write(f"{versions}\n")
        sys.stdout.flush()
        for line in sys.stdin:
            sys.stdout.write(f"{json.dumps(measure(folder, line.strip(), pool))}\n")
            sys.stdout.flush()


def version_of(package: str) -> str:
    """Of an installed package."""
    from importlib.metadata import version

    return version(package)


if __name__ == "__main__":
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    main()
