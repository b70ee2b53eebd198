"""The self-checks of chapter 14: what is right passes in two ways, usual mistakes get their hint."""

import torch


def teacher(alpha, beta, mask):
    return torch.nn.functional.kl_div(alpha.log(), beta, reduction="none").sum(-1)[mask].mean()


def teacher_by_xlogy(alpha, beta, mask):
    distances = (torch.xlogy(beta, beta) - torch.xlogy(beta, alpha)).sum(-1)
    return (distances * mask).sum() / mask.sum()


def revise(z, v, log_y, W, U, gamma):
    return torch.stack([z_k + gamma * v_k @ (U @ (W.T @ y.exp())) for z_k, v_k, y in zip(z, v, log_y, strict=True)])


def revise_by_einsum(z, v, log_y, W, U, gamma):
    return z + gamma * torch.einsum("srh,he,we,sw->sr", v, U, W, log_y.exp())


def teacher_by_product(a, b, m):
    distances = (torch.special.xlogy(b, b) - b * a.log()).sum(-1)
    return distances.flatten() @ m.float().flatten() / m.sum()


RIGHT = {
    "check_teacher_loss": (teacher, teacher_by_xlogy, teacher_by_product),
    "check_revise": (revise, revise_by_einsum),
}
WRONG = [
    (
        "check_teacher_loss",
        lambda a, b, m: teacher_by_xlogy(b.clamp(min=torch.finfo(b.dtype).tiny), a, m),
        "turned around",
    ),
    ("check_teacher_loss", lambda a, b, m: teacher(a, b, torch.ones_like(m)), "use the mask"),
    ("check_teacher_loss", lambda a, b, m: teacher(a, b, m) * m.sum() / m.numel(), "by the number of words spoken of"),
    ("check_teacher_loss", lambda a, b, m: teacher(a, b, m) * m.sum(), "not their sum"),
    ("check_teacher_loss", lambda a, b, m: -teacher(a, b, m), "the sign"),
    ("check_teacher_loss", lambda a, b, m: -(b * a.log()).sum(-1)[m].mean(), "the cross entropy"),
    ("check_teacher_loss", lambda a, b, m: (b - a).abs().sum(-1)[m].mean(), "wanted"),
    ("check_teacher_loss", lambda a, b, m: teacher(a, b, m).item(), "no gradient comes back"),
    ("check_revise", lambda z, v, y, W, U, g: revise(z, v, y, W, U, 1.0), "gamma is not in it"),
    ("check_revise", lambda z, v, y, W, U, g: revise(z, v, y, W, U, g) - z, "the first energies are lost"),
    ("check_revise", lambda z, v, y, W, U, g: z + g * torch.einsum("srh,he,we,sw->sr", v, U, W, y), "log y is not y"),
    ("check_revise", lambda z, v, y, W, U, g: z + g * torch.einsum("srh,he,se->sr", v, U, W[y.argmax(1)]), "likeliest"),
    ("check_revise", lambda z, v, y, W, U, g: revise(z, v, y, W, U.T, g), "U is transposed"),
    ("check_revise", lambda z, v, y, W, U, g: revise(z, v, y, W, U, g).softmax(1), "the softmax comes after"),
    ("check_revise", lambda *given: None, "is there a `return`?"),
]
