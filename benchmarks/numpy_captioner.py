"""The multimodal RNN in plain numpy, one sentence after the other: the method of neuraltalk's generator, written anew.

Training: for each sentence forwards, softmax, and backwards through time; gradients summed, clipped, RMSprop. Decoding:
a list of beams for each picture, one step of the network for each beam.
"""

from __future__ import annotations

import numpy as np
import torch

from vsa_lite.captioning.rnn import END, MultimodalRNN
from vsa_lite.data.batches import Batch


class NumpyCaptioner:
    """Takes over the weights of a model with the cell "rnn".

    Args:
        model: whose weights are copied.
        dtype: neuraltalk computes in "float64".
    """

    def __init__(self, model: MultimodalRNN, dtype: str = "float64") -> None:
        self.w = {key: p.detach().cpu().numpy().astype(dtype) for key, p in model.named_parameters()}
        self.dtype, self.start = dtype, model.start
        self._squares = {key: np.zeros_like(p) for key, p in self.w.items()}

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, torch.Tensor]]:
        """Mean cross entropy of a word and its gradients, by the names of the model's parameters."""
        w = self.w
        features = batch.regions[:, 0].cpu().numpy().astype(self.dtype)
        images = features @ w["image.weight"].T + w["image.bias"]  # all pictures at once, as neuraltalk does
        gradients = {key: np.zeros_like(p) for key, p in w.items()}
        d_images, total, count = np.zeros_like(images), 0.0, 0
        for k, (tokens, mask) in enumerate(zip(batch.tokens.tolist(), batch.word_mask.tolist(), strict=True)):
            words = [word for word, real in zip(tokens, mask, strict=True) if real]
            total -= self._sentence(images[k], words, gradients, d_images[k])
            count += len(words) + 1
        gradients["image.weight"] += d_images.T @ features
        gradients["image.bias"] += d_images.sum(0)
        return total / count, {key: torch.from_numpy(g / count) for key, g in gradients.items()}

    def _sentence(self, image: np.ndarray, words: list[int], gradients: dict, d_image: np.ndarray) -> float:
        """Log probability of a sentence; its gradients are added."""
        w, inputs, targets = self.w, [self.start, *words], [*words, END]
        n, W_hh = len(inputs), w["recurrent.weight"]
        x = w["embedding.weight"][inputs]
        given = x @ w["input.weight"].T + w["input.bias"]
        given[0] += image
        h = np.zeros_like(given)
        for t in range(n):
            h[t] = np.maximum(given[t] + (W_hh @ h[t - 1] if t else 0), 0)
        y = h @ w["output.weight"].T + w["output.bias"]
        p = np.exp(y - y.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        log_probability = float(np.log(p[range(n), targets]).sum())
        p[range(n), targets] -= 1
        gradients["output.weight"] += p.T @ h
        gradients["output.bias"] += p.sum(0)
        d_h, d_given = p @ w["output.weight"], np.zeros_like(given)
        for t in reversed(range(n)):
            d_given[t] = d_h[t] * (h[t] > 0)
            if t:
                d_h[t - 1] += W_hh.T @ d_given[t]
        gradients["recurrent.weight"] += d_given[1:].T @ h[:-1]
        d_image += d_given[0]
        gradients["input.weight"] += d_given.T @ x
        gradients["input.bias"] += d_given.sum(0)
        np.add.at(gradients["embedding.weight"], inputs, d_given @ w["input.weight"])
        return log_probability

    def step(self, batch: Batch) -> None:
        """One of training: clipped gradients, RMSprop with a rate too small to matter."""
        _, gradients = self.loss_and_gradients(batch)
        for key, gradient in gradients.items():
            g = gradient.numpy().clip(-5, 5)
            self._squares[key] = 0.99 * self._squares[key] + 0.01 * g**2
            self.w[key] -= 1e-8 * g / np.sqrt(self._squares[key] + 1e-8)

    def beam(self, features: np.ndarray, size: int, longest: int) -> tuple[list[int], float]:
        """The best sentence for one picture, and its log probability."""
        w = self.w
        image = w["image.weight"] @ features.astype(self.dtype) + w["image.bias"]
        beams: list[tuple[float, list[int], np.ndarray]] = [(0.0, [], np.zeros_like(image))]
        for t in range(longest):
            candidates = []
            for total, words, h in beams:
                if words and words[-1] == END:
                    candidates.append((total, words, h))
                    continue
                x = w["embedding.weight"][words[-1] if words else self.start]
                new = w["input.weight"] @ x + w["input.bias"] + w["recurrent.weight"] @ h
                new = np.maximum(new if t else new + image, 0)
                y = w["output.weight"] @ new + w["output.bias"]
                y = y - y.max()
                y -= np.log(np.exp(y).sum())
                for word in np.argsort(-y)[:size]:
                    candidates.append((total + y[word], [*words, int(word)], new))
            candidates.sort(key=lambda candidate: -candidate[0])
            beams = candidates[:size]
        total, words, _ = beams[0]
        return words[: words.index(END)] if END in words else words, float(total)
