"""Backbones split into trunk and head, their features against torchvision's own, and extraction into a store."""

import copy
import os
import pickle
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.error import URLError

import numpy as np
import pytest
import torch
from conftest import TinyNetwork, four_regions, make_backbone, make_dataset, seeded
from PIL import Image
from torch import nn
from torchvision import models
from torchvision.ops import roi_align

from vsa_lite.data.records import Dataset, Record, Sentence
from vsa_lite.regions.backbones import Backbone, BackboneError, Transform, fuse_batch_norm, load_backbone
from vsa_lite.regions.features import _read_ahead, extract_features, warp_crops
from vsa_lite.regions.store import FeatureStore, StoreError

SMALL = "shufflenet_v2_x0_5"  # torchvision's smallest classifier with a linear layer at its end


def noise(n, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def before_classifier(network, x):
    """What goes into the last linear layer, caught by a hook: the reference for every backbone."""
    caught = []
    last = [part for part in network.modules() if isinstance(part, nn.Linear)][-1]
    handle = last.register_forward_hook(lambda module, inputs, output: caught.append(inputs[0]))
    with torch.inference_mode():
        network(x)
    handle.remove()
    return caught[0]


def vision_transformer():
    return models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16, num_classes=3
    )


NETWORKS = {  # name: (maker, side in pixels, has a map)
    "tiny": (TinyNetwork, 32, True),
    "resnet18": (models.resnet18, 64, True),
    "vgg11": (lambda: models.vgg11(init_weights=False, num_classes=3), 64, True),
    "mobilenet": (models.mobilenet_v3_small, 64, True),
    "densenet": (lambda: models.DenseNet(8, (2, 2), 16, num_classes=3), 64, True),
    "shufflenet": (models.shufflenet_v2_x0_5, 64, True),
    "transformer": (vision_transformer, 32, False),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_what_the_classifier_sees_and_the_split_is_exact(name):
    make, size, has_map = NETWORKS[name]
    network = seeded(make)
    pixels = noise(3, size)
    transform = Transform(size)
    expected = before_classifier(network, transform.normalise(pixels))
    backbone = Backbone(network, transform, name)
    assert backbone.feature_size == expected.shape[1]
    assert not any(parameter.requires_grad for parameter in backbone.module.parameters())
    close = {"atol": 1e-4 * float(expected.abs().max()), "rtol": 1e-4}
    torch.testing.assert_close(backbone.vectors(pixels), expected, **close)
    if has_map:
        with torch.inference_mode():
            maps = backbone.trunk(transform.normalise(pixels))
            assert maps.ndim == 4
            torch.testing.assert_close(backbone.head(maps), expected, **close)
    else:
        assert backbone.trunk is backbone.head is None
        with pytest.raises(BackboneError, match="no map to pool regions from: use method='crop'"):
            backbone.region_vectors(pixels, torch.rand(3, 2, 4))


def test_very_small_features_do_not_hide_a_wrong_split():
    # densenet's last ReLU stands in `forward`, not in a layer
    network, pixels = seeded(NETWORKS["densenet"][0]), noise(2, 64)
    network.features.norm5.weight.data.mul_(1e-6)
    network.features.norm5.bias.data.mul_(1e-6)
    expected = before_classifier(network, Transform(64).normalise(pixels))
    assert expected.max() < 1e-4
    backbone = Backbone(network, Transform(64))
    with torch.inference_mode():
        maps = backbone.trunk(Transform(64).normalise(pixels))
    assert maps.min() >= 0
    torch.testing.assert_close(backbone.head(maps), expected, atol=1e-9, rtol=1e-3)


@pytest.mark.parametrize("make", [TinyNetwork, models.mobilenet_v3_small])
def test_folding_batch_norm_gives_the_same_numbers(make):
    network = seeded(make)
    fused = copy.deepcopy(network)
    fuse_batch_norm(fused)
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, got = network(x), fused(x)
    assert any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fused.modules())
    torch.testing.assert_close(got, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("pool_size", [3, 4])
def test_region_features_equal_torchvisions_roi_align_box_by_box(pool_size):
    network = seeded(TinyNetwork)
    reference = copy.deepcopy(network)
    backbone = Backbone(network, Transform(32))
    pixels = noise(2, 96)
    boxes = torch.tensor([[[0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]], [[0.5, 0.5, 0.75, 1], [0.3, 0, 0.31, 0.02]]])
    got = backbone.region_vectors(pixels, boxes, pool_size)
    with torch.inference_mode():
        maps = reference.features(backbone.transform.normalise(pixels))  # (2, 8, 24, 24)
        for picture in range(2):
            for region in range(2):
                corners = boxes[picture, region][None] * 96
                pooled = roi_align(
                    maps[picture][None], [corners], pool_size, spatial_scale=24 / 96, sampling_ratio=2, aligned=True
                )
                expected = reference.classifier[:3](reference.avgpool(pooled).flatten(1))[0]
                torch.testing.assert_close(got[picture, region], expected, atol=1e-5, rtol=1e-4)


def test_the_whole_box_is_about_the_whole_map_pooled():
    backbone = make_backbone()
    smooth = Image.fromarray(noise(1, 5)[0]).resize((64, 64), Image.Resampling.BICUBIC)
    pixels = np.asarray(smooth)[None]
    with torch.inference_mode():
        whole = backbone.head(backbone.trunk(backbone.transform.normalise(pixels)))
    got = backbone.region_vectors(pixels, torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]), 6)[:, 0]
    assert (got - whole).norm() < 0.05 * whole.norm()


def test_a_box_sees_its_own_part_of_the_picture():
    backbone = make_backbone()
    pixels = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    pixels[:, :, 32:] = noise(1, 64)[:, :, 32:]
    other = pixels.copy()
    other[:, :, 32:] = noise(1, 64, 1)[:, :, 32:]
    boxes = torch.tensor([[[0, 0, 0.4, 1], [0.6, 0, 1, 1]]])
    a, b = backbone.region_vectors(pixels, boxes, 3)[0], backbone.region_vectors(other, boxes, 3)[0]
    torch.testing.assert_close(a[0], b[0])
    assert (a[1] - b[1]).abs().max() > 1e-3


def test_boxes_and_pictures_must_be_of_one_number():
    with pytest.raises(ValueError, match="boxes of 3 pictures, but 2 pictures"):
        make_backbone().region_vectors(noise(2, 64), torch.rand(3, 1, 4))


def test_transform_is_squash_scale_normalise():
    image = Image.new("L", (50, 20), 51)
    transform = Transform(8, (0.1, 0.2, 0.3), (0.5, 0.25, 1.0))
    pixels = transform.pixels(image)
    assert pixels.shape == (8, 8, 3)
    x = transform.normalise(pixels[None])
    expected = torch.tensor([(0.2 - 0.1) / 0.5, 0.0, -0.1])
    torch.testing.assert_close(x, expected[None, :, None, None].expand(1, 3, 8, 8), atol=1e-6, rtol=1e-5)


def test_provenance_tells_weights_and_transform_apart():
    same, other = make_backbone().provenance(), make_backbone(1).provenance()
    assert same == make_backbone().provenance()
    assert same["weights"] != other["weights"]
    assert Backbone(seeded(TinyNetwork), Transform(40), "tiny0").provenance() != same


def test_making_a_backbone_leaves_random_numbers_alone():
    before = torch.get_rng_state()
    make_backbone()
    assert torch.equal(torch.get_rng_state(), before)


def test_parts_move_with_the_module():
    layers = {"convolution": nn.Conv2d(3, 4, 3), "norm": nn.BatchNorm2d(4), "avgpool": nn.AdaptiveAvgPool2d(2)}
    network = nn.Sequential(OrderedDict(layers | {"classifier": nn.Sequential(nn.Flatten(), nn.Linear(16, 2))}))
    backbone = Backbone(network, Transform(16)).to("meta")
    assert any(isinstance(part, nn.BatchNorm2d) for part in backbone.trunk.modules())  # not the module's folded one
    parts = (backbone.module, backbone.trunk, backbone.head)
    assert {tensor.device.type for part in parts for tensor in part.state_dict().values()} == {"meta"}


# loading


def test_an_unknown_classifier_is_named():
    with pytest.raises(BackboneError, match=r"no classifier 'resnet51'; it has .*resnet50.*file\.py:function"):
        load_backbone("resnet51")


def test_missing_weights_are_named():
    with pytest.raises(BackboneError, match=r"resnet18 needs weights: 'DEFAULT', or a name of ResNet18_Weights"):
        load_backbone("resnet18")
    with pytest.raises(BackboneError, match=r"no weights 'IMAGENET' for resnet18: there are IMAGENET1K_V1"):
        load_backbone("resnet18", "IMAGENET")


def test_weights_that_cannot_be_downloaded_are_named(monkeypatch):
    def offline(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(BackboneError, match=r"could not be downloaded.*no network.*give a local file"):
        load_backbone(SMALL, "DEFAULT")


def test_weights_from_a_file(tmp_path):
    network = seeded(lambda: models.get_model(SMALL))
    torch.save(network.state_dict(), tmp_path / "plain.pth")
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "training.pth")
    from safetensors.torch import save_file

    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    pixels = noise(1, 64)
    expected = before_classifier(network, Transform(64).normalise(pixels))
    for name in ("plain.pth", "training.pth", "weights.safetensors"):
        backbone = load_backbone(SMALL, str(tmp_path / name), Transform(64))
        assert backbone.name == SMALL
        torch.testing.assert_close(backbone.vectors(pixels), expected, atol=1e-5, rtol=1e-3)


def test_foreign_weights_are_refused(tmp_path):
    torch.save(seeded(TinyNetwork).state_dict(), tmp_path / "tiny.pth")
    (tmp_path / "text.pth").write_text("weights")
    (tmp_path / "text.safetensors").write_text("weights")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    (tmp_path / "folder").mkdir()
    for name in ("tiny.pth", "text.pth", "text.safetensors", "tensor.pth", "folder"):
        with pytest.raises(BackboneError, match=f"{name} does not hold weights that fit {SMALL}"):
            load_backbone(SMALL, str(tmp_path / name))


@dataclass
class Attack:
    path: str

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    attack = Attack(str(tmp_path / "executed"))
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(attack, 2))
    torch.save({"state_dict": attack}, tmp_path / "saved.pth")
    for name in ("raw.pth", "saved.pth"):
        with pytest.raises(BackboneError, match=r"does not hold weights .*would run code$"):
            load_backbone(SMALL, str(tmp_path / name))
    assert not (tmp_path / "executed").exists()


FUNCTIONS = """
from __future__ import annotations
from dataclasses import dataclass
import torch
from torch import nn
from vsa_lite.regions.backbones import Transform

@dataclass
class Settings:
    channels: int = 4

def network(weights=None):
    torch.manual_seed(0)
    first = nn.Conv2d(3, Settings().channels, 8, 8)
    module = nn.Sequential(first, nn.Flatten(), nn.Linear(4 * 4 * 4, 6), nn.Linear(6, 2))
    if weights:
        module.load_state_dict(torch.load(weights, weights_only=True))
    return module, Transform(32)

def alone():
    return network()[0]

def wrong():
    return 3

def vector():
    return nn.Sequential(nn.Flatten(0), nn.Linear(3, 2))

def broken():
    module = network()[0]
    module[2].weight.data.fill_(float("nan"))
    return module, Transform(32)
"""


def test_a_function_of_ones_own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(FUNCTIONS)
    with torch.random.fork_rng():
        backbone = load_backbone(f"{file}:network")
        assert (backbone.name, backbone.feature_size, backbone.transform) == ("mine:network", 6, Transform(32))
        with pytest.raises(BackboneError, match=r"mine:alone does not take a picture of 224 pixels"):
            load_backbone(f"{file}:alone")
        assert load_backbone(f"{file}:alone", transform=Transform(32)).feature_size == 6
        states = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(), nn.Linear(64, 6), nn.Linear(6, 2)).state_dict()
        torch.save(states, tmp_path / "mine.pth")
        trained = load_backbone(f"{file}:network", str(tmp_path / "mine.pth"))
    assert trained.provenance()["weights"] != backbone.provenance()["weights"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mine.py:nothing", "has no function 'nothing'"),
        ("other.py:network", "no file .*other.py to take a backbone from"),
        ("mine.py:wrong", "must return a module, or a module and its transform"),
        ("mine.py:vector", "must give one vector a picture"),
        ("mine.py:broken", "not finite"),
        ("mine.py", r"give file\.py:function"),
    ],
)
def test_a_function_that_does_not_do_is_named(tmp_path, spec, message):
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    with torch.random.fork_rng(), pytest.raises(BackboneError, match=message):
        load_backbone(str(tmp_path / spec))


def test_a_network_without_a_linear_layer_is_named():
    with pytest.raises(BackboneError, match="no linear layer"):
        Backbone(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), Transform(8))


# extraction


def extract(dataset, backbone, path, regions=four_regions, **more):
    options = {"count": 4, "size": 64, "batch_size": 4, "progress": False} | more
    return extract_features(dataset, backbone, regions, path, **options)


def test_align_features_of_a_data_set(dataset, backbone, tmp_path):
    store = extract(dataset, backbone, tmp_path / "s")
    assert store.features.shape == (6, 4, 12)
    assert store.image_ids.tolist() == [10, 11, 12, 13, 14, 15]
    for row, record in enumerate(dataset):
        image = record.image()
        boxes, mask = four_regions(record, image)
        np.testing.assert_array_equal(store.boxes[row], boxes.numpy())
        np.testing.assert_array_equal(store.mask[row], mask.numpy())
        whole = backbone.vectors(backbone.transform.pixels(image)[None])[0]
        others = backbone.region_vectors(backbone.transform.pixels(image, 64)[None], boxes[None])[0]
        np.testing.assert_allclose(store.features[row, 0], whole.numpy(), atol=2e-3, rtol=2e-3)
        np.testing.assert_allclose(store.features[row, 1:3], others[1:3].numpy(), atol=2e-3, rtol=2e-3)
        assert not store.features[row, 3].any()
    kept = {key: store.provenance[key] for key in ("backbone", "dataset", "method", "size", "pool_size", "failures")}
    wanted = {"backbone": "tiny0", "dataset": "six pictures", "method": "align", "size": 64, "pool_size": 7}
    assert kept == wanted | {"failures": {}}


def test_crop_features_are_those_of_the_cut_out_pictures(dataset, backbone, tmp_path):
    store = extract(dataset, backbone, tmp_path / "s", method="crop")
    align = extract(dataset, backbone, tmp_path / "t")
    assert store.features.shape == align.features.shape
    np.testing.assert_array_equal(store.features[:, 0], align.features[:, 0])
    for row, record in enumerate(dataset):
        boxes, _ = four_regions(record, record.image())
        crops = backbone.vectors(warp_crops(record.image(), boxes[1:3], 32)).numpy()
        np.testing.assert_allclose(store.features[row, 1:3], crops, atol=2e-3, rtol=2e-3)
        assert not store.features[row, 3].any()
    assert "size" not in store.provenance


@pytest.mark.parametrize("method", ["align", "crop"])
def test_a_mirrored_picture_and_its_regions(dataset, backbone, tmp_path, method):
    store = extract(dataset, backbone, tmp_path / "s", method=method, mirror=True)
    assert store.provenance["mirrored"] is True
    for row, record in enumerate(dataset):
        mirrored = record.image().convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        whole = backbone.vectors(backbone.transform.pixels(mirrored)[None])[0]
        np.testing.assert_allclose(store.features[row, 0], whole.numpy(), atol=2e-3, rtol=2e-3)
        boxes = torch.tensor([[0, 0, 1, 1], [0.5, 0, 1, 0.5], [0, 0.25, 0.5, 1], [0, 0, 0, 0]])
        np.testing.assert_array_equal(store.boxes[row], boxes.numpy())
        if method == "crop":
            others = backbone.vectors(warp_crops(mirrored, boxes[1:3], 32))
        else:
            others = backbone.region_vectors(backbone.transform.pixels(mirrored, 64)[None], boxes[None])[0, 1:3]
        np.testing.assert_allclose(store.features[row, 1:3], others.numpy(), atol=2e-3, rtol=2e-3)
    with pytest.raises(StoreError, match="mirrored differ"):
        extract(dataset, backbone, tmp_path / "s", method=method)


def test_parts_side_by_side_make_the_store_of_one_run(dataset, backbone, tmp_path):
    whole = extract(dataset, backbone, tmp_path / "whole", batch_size=1)
    with ThreadPoolExecutor(3) as pool:
        parts = [(2, 3), (3, 3), (1, 3)]
        waiting = [
            pool.submit(extract, dataset, make_backbone(), tmp_path / "s", batch_size=1, shard=part) for part in parts
        ]
        made = [future.result() for future in waiting]
    assert any(store is not None for store in made)  # whoever was last
    store = FeatureStore(tmp_path / "s")
    for name in ("features", "boxes", "mask", "image_ids"):
        np.testing.assert_array_equal(getattr(store, name), getattr(whole, name))
    assert store.provenance == whole.provenance


def test_a_part_that_is_missing_leaves_the_store_unfinished(dataset, backbone, tmp_path):
    assert extract(dataset, backbone, tmp_path / "s", shard=(1, 2)) is None
    with pytest.raises(StoreError, match="unfinished, 2 of 6 pictures to go"):
        FeatureStore(tmp_path / "s")
    store = extract(dataset, backbone, tmp_path / "s", shard=(2, 2))
    np.testing.assert_array_equal(store.features, extract(dataset, backbone, tmp_path / "t").features)
    for shard in ((0, 2), (3, 2)):
        with pytest.raises(ValueError, match="with k from 1 to n"):
            extract(dataset, backbone, tmp_path / "u", shard=shard)
    with pytest.raises(ValueError, match="only the first part begins the store anew"):
        extract(dataset, backbone, tmp_path / "s", shard=(2, 2), restart=True)


def test_failures_of_every_part_are_kept_until_they_are_mended(dataset, backbone, tmp_path):
    broken = {dataset[0].image_id, dataset[2].image_id}

    def regions(record, image):
        if record.image_id in broken:
            raise OSError("torn")
        return four_regions(record, image)

    for part in (1, 2):
        with pytest.warns(UserWarning, match="pictures without features"):
            store = extract(dataset, backbone, tmp_path / "s", regions, batch_size=2, shard=(part, 2))
    assert set(store.provenance["failures"]) == {dataset[0].name, dataset[2].name}
    broken.remove(dataset[0].image_id)
    store = extract(dataset, backbone, tmp_path / "s", regions, batch_size=2, shard=(1, 2))
    assert set(store.provenance["failures"]) == {dataset[2].name}


def test_warped_crops_show_their_box():
    colours = np.zeros((20, 40, 3), dtype=np.uint8)
    colours[:, :20], colours[:, 20:] = (200, 0, 0), (0, 0, 200)
    boxes = torch.tensor(
        [[0, 0, 0.4, 1], [0.6, 0.5, 1, 1], [0.3, 0, 0.7, 1], [0.25, 0.5, 0.25, 0.5], [1, 1, 1, 1.0001]]
    )
    crops = warp_crops(Image.fromarray(colours), boxes, 8)
    assert crops.shape == (5, 8, 8, 3)
    for number, colour in ((0, (200, 0, 0)), (1, (0, 0, 200)), (3, (200, 0, 0)), (4, (0, 0, 200))):
        assert (crops[number] == colour).all()
    assert (crops[2][:, 0] == (200, 0, 0)).all()
    assert (crops[2][:, -1] == (0, 0, 200)).all()
    assert warp_crops(Image.new("L", (1, 1), 9), torch.tensor([[0.2, 0.2, 0.6, 0.7]]), 4).tolist() == [
        [[[9] * 3] * 4] * 4
    ]
    assert warp_crops(Image.fromarray(colours), torch.zeros(0, 4), 8).shape == (0, 8, 8, 3)


@pytest.mark.parametrize("method", ["align", "crop"])
def test_the_whole_picture_alone_is_enough(dataset, backbone, tmp_path, method):
    def whole(record, image):
        return torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([True])

    store = extract(dataset, backbone, tmp_path / "one", whole, count=1, method=method)
    assert store.features.shape == (6, 1, 12)

    def whole_of_two(record, image):
        return torch.tensor([[0.0, 0, 1, 1], [0, 0, 0, 0]]), torch.tensor([True, False])

    padded = extract(dataset, backbone, tmp_path / "two", whole_of_two, count=2, method=method)
    np.testing.assert_array_equal(padded.features[:, 0], store.features[:, 0])
    assert not padded.features[:, 1].any()


@pytest.mark.parametrize("method", ["align", "crop"])
def test_pictures_of_every_size(backbone, tmp_path, method):
    records = []
    for number, (mode, size) in enumerate([("RGB", (1, 1)), ("L", (3, 200)), ("P", (64, 5)), ("CMYK", (10, 10))]):
        path = tmp_path / f"{number}.{'jpg' if mode == 'CMYK' else 'png'}"
        Image.new(mode, size).save(path)
        records.append(Record(number, path.name, path, "train", (Sentence("a", ("a",)),)))
    store = extract(Dataset("odd", records), backbone, tmp_path / "s", method=method)
    assert np.isfinite(store.features).all()
    assert store.mask[:, :3].all()


def test_a_picture_that_cannot_be_read_is_named_counted_and_left_out(dataset, backbone, tmp_path):
    good = extract(dataset, backbone, tmp_path / "good")
    bad = dataset[2].picture
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"skipped 1 pictures without features: 2\.png \(PictureError.*2\.png"):
        store = extract(dataset, backbone, tmp_path / "s")
    assert list(store.provenance["failures"]) == ["2.png"]
    assert not store.mask[2].any()
    assert 12 not in store
    others = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(store.features[others], good.features[others], atol=2e-3, rtol=2e-3)
    bad.write_bytes(whole)  # mended: only this one is read again
    opened = []

    def noting(record, image):
        opened.append(record.name)
        return four_regions(record, image)

    store = extract(dataset, backbone, tmp_path / "s", noting)
    assert opened == ["2.png"]
    assert store.provenance["failures"] == {}
    np.testing.assert_allclose(store.features, good.features, atol=2e-3, rtol=2e-3)


def test_a_fault_that_every_picture_meets_is_an_error(dataset, backbone, tmp_path):
    def broken(record, image):
        raise KeyError(f"no detections for {record.name}")

    with pytest.raises(StoreError, match=r"any of the 6 pictures.*the first: 0\.png.*no detections for 0\.png"):
        extract(dataset, backbone, tmp_path / "s", broken)


@pytest.mark.parametrize(
    ("boxes", "mask", "message"),
    [
        (
            torch.zeros(3, 4),
            torch.ones(3, dtype=torch.bool),
            r"wanted boxes \(4, 4\) and a bool mask \(4,\), got \(3, 4\)",
        ),
        (torch.zeros(4, 4), torch.ones(4), "bool mask"),
        (
            torch.tensor([[0, 0, 1, 1.0]] * 4),
            torch.tensor([False, True, True, True]),
            "first must be the whole picture",
        ),
        (torch.tensor([[0, 0, 0.5, 1.0]] * 4), torch.ones(4, dtype=torch.bool), "first must be the whole picture"),
        (torch.tensor([[0, 0, 40.0, 30.0]] * 4), torch.ones(4, dtype=torch.bool), "box 0 is .*divide pixels"),
        (torch.full((4, 4), torch.nan), torch.ones(4, dtype=torch.bool), "box 0 is"),
    ],
)
def test_regions_that_do_not_do_stop_the_run(dataset, backbone, tmp_path, boxes, mask, message):
    with pytest.raises(ValueError, match=rf"regions of \d\.png: .*{message}"):
        extract(dataset, backbone, tmp_path / "s", lambda record, image: (boxes, mask))


@pytest.mark.parametrize(("factor", "why"), [(float("nan"), "not finite"), (1e7, "too large for float16")])
def test_features_that_cannot_be_kept_stop_the_run(dataset, backbone, tmp_path, factor, why):
    with torch.no_grad():
        backbone.module.classifier[0].weight.mul_(factor)
    with pytest.raises(StoreError, match=f"image id 1[0-5] are {why}"):
        extract(dataset, backbone, tmp_path / "s")
    with pytest.raises(StoreError, match="unfinished"):
        FeatureStore(tmp_path / "s")


def test_a_store_of_something_else_is_not_written_into(dataset, backbone, tmp_path):
    path = tmp_path / "s"
    before = extract(dataset, backbone, path).features.tobytes()
    cases = {
        "backbone, weights": lambda: extract(dataset, make_backbone(1), path),
        "dataset": lambda: extract(Dataset("other", dataset.records), backbone, path),
        "method, pool_size, size": lambda: extract(dataset, backbone, path, method="crop"),
        "size": lambda: extract(dataset, backbone, path, size=96),
        "proposals": lambda: extract(dataset, backbone, path, provenance={"proposals": "windows"}),
        "shape": lambda: extract(dataset.split("train"), backbone, path),
    }
    for names, again in cases.items():
        with pytest.raises(StoreError, match=rf"something else \({names} differ\)"):
            again()
    assert FeatureStore(path).features.tobytes() == before


def test_bad_choices_are_named_before_work_is_done(dataset, backbone, tmp_path):
    with pytest.raises(ValueError, match="method must be 'align' or 'crop', got 'pool'"):
        extract(dataset, backbone, tmp_path / "s", method="pool")
    with pytest.raises(ValueError, match="count and batch_size must be at least 1, got 0 and 4"):
        extract(dataset, backbone, tmp_path / "s", count=0)
    with pytest.raises(ValueError, match="count and batch_size must be at least 1, got 4 and 0"):
        extract(dataset, backbone, tmp_path / "s", batch_size=0)
    with pytest.raises(ValueError, match="nothing holds no picture"):
        extract(Dataset("nothing", []), backbone, tmp_path / "s")
    transformer = Backbone(seeded(vision_transformer), Transform(32))
    with pytest.raises(BackboneError, match="no map to pool regions from: use method='crop'"):
        extract(dataset, transformer, tmp_path / "s")
    assert not (tmp_path / "s").exists()
    assert extract(dataset, transformer, tmp_path / "s", method="crop").feature_size == 16


def test_a_resumed_run_forms_the_same_batches():
    batches = [list(batch) for batch in _read_ahead(lambda row: row, [2, 5, 6, 7, 9], 4)]
    assert batches == [[2], [5, 6, 7], [9]]
    assert list(_read_ahead(lambda row: row, [], 4)) == []


def test_extraction_does_not_depend_on_the_folder(tmp_path, backbone):
    a = extract(make_dataset(tmp_path / "a"), backbone, tmp_path / "s")
    b = extract(make_dataset(tmp_path / "b"), backbone, tmp_path / "t")
    assert a.features.tobytes() == b.features.tobytes()
    assert (a.path / "store.json").read_bytes() == (b.path / "store.json").read_bytes()
