"""Chapter 11: a wrong answer is refused, with a sentence that names the mistake."""

import numpy as np
import pytest

from minigen import course
from minigen import functional as F


def mean(v, p):
    return (p * v).sum()


def median(v, p):
    order = np.argsort(v)
    return v[order][np.searchsorted(np.cumsum(p[order]), 0.5)]


def error(sigma, a):
    return (1 - a) ** 2 + a**2 * sigma**2


def slope(sigma, p):
    return max(1 / (1 + sigma**2), (1 - p) / np.sqrt(1 + sigma**2))


def answer(d_real="clean", d=None, g=None, distance=None, detach=True, detach_g=False):
    """A restoration GAN's losses, with one part changed."""

    def losses(generator, discriminator, damaged, clean, weight):
        restored = generator(damaged)
        real = discriminator(clean if d_real == "clean" else damaged)
        fake = discriminator(restored.detach() if detach else restored)
        d_loss = d(real, fake) if d else F.softplus(-real).mean() + F.softplus(fake).mean()
        view = discriminator(restored.detach() if detach_g else restored)
        g_loss = g(view) if g else F.softplus(-view).mean()
        far = distance(restored, clean, damaged) if distance else abs(restored - clean).sum() / len(clean)
        return d_loss, g_loss + weight * far

    return losses


def no_generator_at_all(generator, discriminator, damaged, clean, weight):
    restored = generator(damaged).detach()
    return answer()(lambda x: restored, discriminator, damaged, clean, weight)


def detached_logits(generator, discriminator, damaged, clean, weight):
    d_loss, g_loss = answer()(generator, discriminator, damaged, clean, weight)
    return d_loss.detach(), g_loss


def walk(layers, own_stride_first=False, start=1):
    width, jump = start, 1
    for kernel, stride in layers:
        jump *= stride if own_stride_first else 1
        width += (kernel - 1) * jump
        jump *= 1 if own_stride_first else stride
    return width


WRONG = [
    ("11.1", lambda v, p: (mean(v, p), v[np.argmax(p)]), "most likely value"),
    ("11.1", lambda v, p: (mean(v, p), np.median(v)), "half of the *probability*"),
    ("11.1", lambda v, p: (v.mean(), median(v, p)), "The mean does not use"),
    ("11.1", lambda v, p: (v.mean(), np.median(v)), "Neither uses"),
    ("11.1", lambda v, p: (mean(v, p), mean(v, p)), "Both are the mean"),
    ("11.1", lambda v, p: (mean(v, p), v[np.searchsorted(np.cumsum(p), 0.5)]), "without sorting"),
    ("11.1", lambda v, p: (median(v, p), mean(v, p)), "other order"),
    ("11.1", lambda v, p: mean(v, p), "2 results"),
    ("11.2", lambda s, p: s**2 / (1 + s**2), "least error of all"),
    ("11.2", lambda s, p: error(s, 1 / np.sqrt(1 + s**2)), "at p = 0 whatever"),
    ("11.2", lambda s, p: error(s, (1 - p) / np.sqrt(1 + s**2)), "never rises again"),
    ("11.2", lambda s, p: error(s, min(1 / (1 + s**2), (1 - p) / np.sqrt(1 + s**2))), "min taken for max"),
    ("11.2", lambda s, p: error(s, max(1 / (1 + s**2), np.sqrt((1 - p) / (1 + s**2)))), "standard deviation."),
    ("11.2", lambda s, p: error(s, (1 + p) / np.sqrt(1 + s**2)), "smallest allowed a"),
    ("11.2", slope, "This is a, not"),
    ("11.2", lambda s, p: (1 - slope(s, p)) ** 2, "noise is missing"),
    ("11.3", answer(d_real="damaged"), "*damaged* images as real"),
    ("11.3", answer(d=lambda r, f: F.softplus(r).mean() + F.softplus(-f).mean()), "labels of L_D are exchanged"),
    ("11.3", answer(distance=lambda x, y, z: 0.0), "no distance"),
    ("11.3", answer(g=lambda f: -F.softplus(-f).mean()), "wrong sign at log D"),
    ("11.3", answer(g=lambda f: -F.softplus(f).mean()), "saturates"),
    ("11.3", answer(g=lambda f: F.softplus(f).mean()), "teaches D's lesson"),
    ("11.3", answer(distance=lambda x, y, z: abs(x - y).mean()), "mean over the pixels too"),
    ("11.3", answer(distance=lambda x, y, z: abs(x - y).sum()), "summed over the batch"),
    ("11.3", answer(distance=lambda x, y, z: ((x - y) ** 2).sum() / len(y)), "that is L2"),
    ("11.3", answer(distance=lambda x, y, z: abs(x - z).sum() / len(y)), "that to the damaged"),
    ("11.3", answer(d=lambda r, f: F.softplus(-r).mean()), "clean images only"),
    ("11.3", answer(d=lambda r, f: F.softplus(f).mean()), "restored images only"),
    ("11.3", answer(d=lambda r, f: 0.5 * (F.softplus(-r).mean() + F.softplus(f).mean())), "half the size"),
    ("11.3", answer(detach=False), "goes on into the generator"),
    ("11.3", detached_logits, "nothing to go backward through"),
    ("11.3", no_generator_at_all, "gives the generator no gradient"),
    ("11.3", answer(detach_g=True), "only its distance reaches"),
    ("11.3", lambda g, d, x, y, w: 1.0, "two tensors"),
    ("11.4", lambda layers: 1 + sum(k - 1 for k, _ in layers), "strides are not used"),
    ("11.4", lambda layers: sum(k for k, _ in layers), "kernels were added up"),
    ("11.4", lambda layers: int(np.prod([k for k, _ in layers])), "were multiplied"),
    ("11.4", lambda layers: walk(layers, own_stride_first=True), "sets its *outputs* apart"),
    ("11.4", lambda layers: walk(layers[::-1]), "from the last to the first"),
    ("11.4", lambda layers: int(np.prod([s for _, s in layers])), "product of the strides"),
    ("11.4", lambda layers: walk(layers, start=0), "1 to begin with"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(11)}
