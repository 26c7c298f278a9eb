"""Solutions of chapter 7."""

import numpy as np


def kl(mu, logvar):
    """½ Σ (μ² + σ² - 1 - ln σ²): a sum over the dimensions, a mean over the images."""
    return 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).sum(axis=1).mean()


ANSWERS = {
    "A": "a VAE",
    "B": "bad drawings",  # -nll is ln p(x|z), minimized
    "C": "no noise",  # nothing pays for the noise that disturbs the decoder
    "D": "codes flee",
    "E": "empty codes",  # β = 64
    "F": "both",  # the bound itself, minimized
    "G": "both",  # the encoder is paid for giving the prior's draws no density
}


def score_gradient(f, mu, logvar, noise):
    """f(z)·∇ ln q(z): by μ it is (z - μ)/σ² = ε/σ, by ln σ² it is ½(ε² - 1)."""
    sigma = np.exp(0.5 * logvar)
    value = f(mu + sigma * noise)
    return (value * noise / sigma).mean(), (value * 0.5 * (noise**2 - 1)).mean()


def predict(eigenvalues, latent_dim, sigma2, beta):
    """Reverse water-filling at the level βσ², for the first latent_dim components."""
    level, kept = beta * sigma2, eigenvalues[:latent_dim]
    active = kept > level
    rate = 0.5 * np.log(kept[active] / level).sum()
    distortion = np.where(active, level, kept).sum() + eigenvalues[latent_dim:].sum()
    return active.sum(), rate, distortion


def free_kl(mu, logvar, minimum):
    """The maximum is of the mean over the batch, for each dimension."""
    each = 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).mean(axis=0)  # (Z,)
    return np.maximum(each, minimum).sum()


SOLUTIONS = {"07.1": kl, "07.2": ANSWERS, "07.3": score_gradient, "07.4": predict, "07.5": free_kl}
