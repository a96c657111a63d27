"""Sounds and images described, beside librosa and scikit-image at the same work in the same minutes.

    python benchmarks/media.py [--peer-python PYTHON] [--data FOLDER] [--images FILE.npz] [--json]

Ten-second sounds at 4 and 44.1 kHz on one thread; images of 28 by 28 pixels on --threads. Sounds and images
are simulated unless real ones are named. PYTHON is one that has librosa and scikit-image; without it only our
own figures are printed. Both take turns, round by round, and the median round counts. A round is timed by the
clock and by the processor; on a machine that others use the processor's time is the fairer one.

librosa resamples, and makes mel bands, cepstrum, slopes, contrast, shape and the same statistics; "same work"
is our code for these alone. librosa has no counterpart for our band-pass, octaves, wheezes, crackles, rhythm
and random convolutions, which "ours" has besides. scikit-image makes the gradients and patterns, in as many
processes as we have threads; ours has the ordered pixels besides. The whole way is from a file on disk: read,
checked, written anew, described.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from threadpoolctl import threadpool_limits

from galeno.features.audio import describe_sound, sound_names
from galeno.features.image import describe_images, image_names, thumbnail
from galeno.features.spectra import (
    FRAME,
    measure_contrast,
    measure_power,
    measure_shape,
    measure_slopes,
    to_cepstrum,
    to_decibels,
    to_mel,
)
from galeno.ingest.breath import STETHOSCOPES, ZONES, Manner, draw_chest, listen
from galeno.ingest.cells import SMEARS, draw_cell, write_png
from galeno.media.content import clean
from galeno.media.fault import MediaFault
from galeno.media.image import read_image
from galeno.media.sound import Sound, read_sound, write_sound

SECONDS, SIDE, BLOCK = 10, 28, 64
RATES = (4000, 44_100)
PEER_RATE = 4000
"""To which both resample."""
REAL_TIME, IMAGES_A_SECOND = 40, 2000
"""What is asked: of a core, and of two."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of one round."""

    wall: float
    cpu: float


class Peer:
    """The other Python, which waits between its rounds."""

    def __init__(self, python: str, folder: Path, processes: int) -> None:
        command = [python, str(Path(__file__).with_name("media_peer.py")), str(folder), str(processes)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD
        )
        self.versions = self._answer()
        self.numbers: dict[str, int] = {}

    def measure(self, name: str) -> Round:
        """One round of the work on a file."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        found = json.loads(self._answer())
        self.numbers[name] = found["numbers"]
        return Round(found["wall"], found["cpu"])

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the peer ended; has its Python librosa and scikit-image?")
        return line.strip()


def simulate_sounds(count: int, rate: int) -> NDArray[np.float32]:
    """Breath sounds, shape (count, samples)."""
    rng = np.random.default_rng(7)
    made = []
    for number in range(count):
        chest = draw_chest(Manner(wheezing=number % 2, crackling=number % 3 == 0), rng)
        stethoscope, zone = list(STETHOSCOPES)[number % 3], list(ZONES)[number % 6]
        made.append(listen(chest, stethoscope, zone, SECONDS, rng) / 32768)
    ratio = np.lcm(rate, 4000)
    sounds = signal.resample_poly(np.stack(made), ratio // 4000, ratio // rate, axis=1)
    return np.asarray(sounds, np.float32)


def read_sounds(folder: Path, count: int, rate: int) -> NDArray[np.float32] | None:
    """Recordings of this rate and of ten seconds, without faulty files; None where there are none."""
    made: list[NDArray[np.float32]] = []
    for path in sorted(folder.rglob("*.flac")) + sorted(folder.rglob("*.wav")):
        try:
            sound = read_sound(path.read_bytes())
        except MediaFault:
            continue
        if sound.rate == rate and sound.seconds >= SECONDS and len(made) < count:
            made.append(sound.samples[: SECONDS * rate])
    return np.stack([made[k % len(made)] for k in range(count)]) if made else None


def take_images(count: int, arrays: Path | None) -> NDArray[np.uint8]:
    """Grey images, shape (count, SIDE, SIDE)."""
    if arrays is not None:
        held = np.load(arrays, allow_pickle=False)
        images = held["train_images" if "train_images" in held else "images"]
        return np.asarray(images[np.arange(count) % len(images)])
    rng = np.random.default_rng(7)
    looks = list(SMEARS.values())
    return np.stack([thumbnail(draw_cell(looks[k % 3], rng)[:, :, 1], SIDE) for k in range(count)])


def timed(work: Callable[[], object]) -> Round:
    """One round; the processor's time is that of all threads."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return Round(time.perf_counter() - start, time.process_time() - used)


def share_out(work: Callable[[Sequence[Any]], object], items: Sequence[Any], threads: int) -> None:
    """Blocks of items in threads, as the pipeline's describer does it."""
    blocks = [items[at : at + BLOCK] for at in range(0, len(items), BLOCK)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, blocks))


def describe_shared(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """What librosa makes too, by our code."""
    sound = samples
    if rate != PEER_RATE:
        divisor = int(np.gcd(rate, PEER_RATE))
        sound = signal.resample_poly(samples, PEER_RATE // divisor, rate // divisor)
    sound = sound / max(float(sound.std()), 1e-5)
    assert len(sound) >= FRAME
    power = measure_power(sound.astype(np.float32))
    mel = to_mel(power)
    cepstrum = to_cepstrum(mel)
    slopes = measure_slopes(cepstrum)
    contrast = measure_contrast(to_decibels(power))
    rows = np.hstack([mel, cepstrum, slopes, measure_slopes(slopes), contrast, measure_shape(power)])
    quantiles = np.quantile(rows, (0.1, 0.5, 0.9), axis=0)
    return np.concatenate([rows.mean(axis=0), rows.std(axis=0), quantiles.ravel()]).astype(np.float32)


def hear_file(path: Path) -> NDArray[np.float32]:
    """The whole way of a sound."""
    sound = read_sound(clean("sound", path.read_bytes()).data)
    return describe_sound(sound.samples, sound.rate)


def see_files(paths: Sequence[Path]) -> NDArray[np.float32]:
    """The whole way of some images."""
    cleaned = [clean("image", path.read_bytes()).data for path in paths]
    return describe_images([read_image(data).pixels for data in cleaned], SIDE)


def take_turns(
    ours: Callable[[], object], name: str, peer: Peer | None, rounds: int
) -> tuple[Round, Round | None]:
    """The median round of each; the first of ours is for nothing."""
    ours()
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(timed(ours))
        if peer is not None:
            theirs.append(peer.measure(name))
    return middle(mine), middle(theirs) if theirs else None


def middle(rounds: Sequence[Round]) -> Round:
    """The median of each."""
    return Round(
        statistics.median(each.wall for each in rounds), statistics.median(each.cpu for each in rounds)
    )


def rates(amount: float, taken: Round | None, cores: int) -> dict[str, float] | None:
    """How much a second, by the clock and by the processor's time of so many cores."""
    return None if taken is None else {"clock": amount / taken.wall, "processor": cores * amount / taken.cpu}


def measure(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures."""
    sounds: dict[int, NDArray[np.float32]] = {}
    for rate in RATES:
        real = read_sounds(chosen.data, chosen.sounds, rate) if chosen.data else None
        sounds[rate] = simulate_sounds(chosen.sounds, rate) if real is None else real
    images = take_images(chosen.count, chosen.images)
    files, pictures = write_files(sounds, images, folder)
    arrays = folder / "arrays"
    arrays.mkdir()
    for rate, held in sounds.items():
        np.save(arrays / f"sounds-{rate}.npy", held)
    np.save(arrays / "images.npy", images)
    peer = Peer(chosen.peer_python, arrays, chosen.threads) if chosen.peer_python else None
    found: dict[str, Any] = {"peer": None if peer is None else peer.versions, "threads": chosen.threads}
    for rate, held in sounds.items():
        found[f"sounds {rate}"] = measure_sounds(held, rate, files[rate], peer, chosen.rounds)

    def see() -> None:
        share_out(lambda block: describe_images(block, SIDE), list(images), chosen.threads)

    mine, theirs = take_turns(see, "images", peer, chosen.rounds)
    whole, _ = take_turns(lambda: share_out(see_files, pictures, chosen.threads), "", None, chosen.rounds)
    found["images"] = {
        "ours": rates(len(images), mine, chosen.threads),
        "peer": rates(len(images), theirs, chosen.threads),
        "whole way": rates(len(images), whole, chosen.threads),
    }
    if peer is not None:
        found["peer numbers"] = peer.numbers
        peer.close()
    return found


def measure_sounds(
    sounds: NDArray[np.float32], rate: int, files: Sequence[Path], peer: Peer | None, rounds: int
) -> dict[str, Any]:
    """Times of real time, of one rate."""

    def each_by(describe: Callable[[NDArray[np.float32], int], object]) -> Callable[[], object]:
        return lambda: [describe(samples, rate) for samples in sounds]

    length = SECONDS * len(sounds)
    mine, theirs = take_turns(each_by(describe_sound), f"sounds-{rate}", peer, rounds)
    shared, _ = take_turns(each_by(describe_shared), "", None, rounds)
    whole, _ = take_turns(lambda: [hear_file(path) for path in files], "", None, rounds)
    return {
        "ours": rates(length, mine, 1),
        "same work": rates(length, shared, 1),
        "peer": rates(length, theirs, 1),
        "whole way": rates(length, whole, 1),
    }


def write_files(
    sounds: dict[int, NDArray[np.float32]], images: NDArray[np.uint8], folder: Path
) -> tuple[dict[int, list[Path]], list[Path]]:
    """FLAC files by rate, and PNG files."""
    files: dict[int, list[Path]] = {}
    for rate, held in sounds.items():
        files[rate] = [folder / f"{rate}-{number}.flac" for number in range(len(held))]
        for path, samples in zip(files[rate], held, strict=True):
            path.write_bytes(write_sound(Sound(np.round(samples * 32768) / np.float32(32768), rate)))
    pictures = [folder / f"{number}.png" for number in range(len(images))]
    for path, pixels in zip(pictures, images, strict=True):
        path.write_bytes(write_png(pixels))
    return files, pictures


def tell(found: dict[str, Any]) -> None:
    """Print the figures as a table."""
    threads = found["threads"]
    say(f"clock (processor's time); {found['peer'] or 'no --peer-python, so ours alone'}")
    for name in [*(f"sounds {rate}" for rate in RATES), "images"]:
        own = found[name]
        unit = f"images/s on {threads}" if name == "images" else "x real time"
        asked = IMAGES_A_SECOND if name == "images" else REAL_TIME
        say(f"{name}, {unit} ({asked:,} asked{', on 2' if name == 'images' else ', a core'})")
        for who in ("ours", "same work", "peer", "whole way"):
            if own.get(who) is not None:
                say(f"  {who:10s} {own[who]['clock']:9,.0f}  ({own[who]['processor']:,.0f})")
        for who in ("ours", "same work"):
            if own["peer"] is not None and who in own:
                times = {by: own[who][by] / own["peer"][by] for by in ("clock", "processor")}
                say(f"  {who + ' by peer':18s} {times['clock']:.2f}  ({times['processor']:.2f})")
    say(f"numbers made: ours {len(sound_names())} a sound, {len(image_names(SIDE))} an image")
    if found["peer"]:
        say(f"              peer {json.dumps(found['peer numbers'])}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--peer-python", help="a Python that has librosa and scikit-image")
    options.add_argument("--data", type=Path, help="folder of recordings, instead of simulated ones")
    options.add_argument("--images", type=Path, help=".npz of grey images, 28 by 28")
    options.add_argument("--sounds", type=int, default=16, help="sounds in a round")
    options.add_argument("--count", type=int, default=2048, help="images in a round")
    options.add_argument("--threads", type=int, default=2, help="for images")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", action="store_true", help="one line for machines")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        found = measure(chosen, Path(name))
    if chosen.json:
        say(json.dumps(found))
    else:
        tell(found)


if __name__ == "__main__":
    main()
