"""The losses of the systems, one file per family: each a plain function with its formula. What is returned is minimized."""

from minigen.losses.adversarial import discriminator_loss, generator_loss, generator_loss_minimax
from minigen.losses.reconstruction import bernoulli_nll, gaussian_nll, squared_error
from minigen.losses.variational import (
    cyclical_annealing,
    free_bits,
    iwae_loss,
    kl_per_dimension,
    kl_to_standard_normal,
    linear_annealing,
    log_normal,
    negative_elbo,
    normalized_weights,
    reparametrize,
)
