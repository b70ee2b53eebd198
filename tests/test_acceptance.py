"""The recorded figures are those of a method that works, and none is too good to be true."""

from pathlib import Path

import pytest

from vsa_lite.acceptance import BANDS, judged
from vsa_lite.report import collect

RESULTS = Path(__file__).resolve().parents[1] / "results"


@pytest.fixture(scope="module")
def results():
    return collect(RESULTS)


def test_every_band_has_a_measured_figure(results):
    assert [band for band, _ in judged(results)] == list(BANDS)


@pytest.mark.parametrize("band", BANDS, ids=lambda band: f"{band.file}-{band.what}-{band.metric}")
def test_a_recorded_figure_lies_in_its_band(band, results):
    (mean,) = (mean for other, mean in judged(results) if other is band)
    assert band.low <= mean <= band.high, f"{band.metric} of {band.what} is {mean:.1f}; {band.why}"
    assert band.low < band.high


def test_the_mean_over_seeds_is_judged():
    run = {"dataset": "x", "split": "test", "backbone": "", "regions": "", "seconds": 1.0, "what": BANDS[0].what}
    runs = [run | {"seed": seed, "metrics": {BANDS[0].metric: value}} for seed, value in enumerate([10.0, 20.0])]
    assert judged({BANDS[0].file: runs}) == [(BANDS[0], 15.0)]
    assert judged({}) == []
