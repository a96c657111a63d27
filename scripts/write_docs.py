"""Write the pages of docs/ that are made from the code; a test compares them."""

import sys
from pathlib import Path

from galeno.reference_docs import PAGES

ROOT = Path(__file__).resolve().parents[1]
