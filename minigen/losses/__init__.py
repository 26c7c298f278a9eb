"""The losses of the systems, one file per family: each a plain function with its formula. What is returned is minimized."""

from minigen.losses.adversarial import (
    GAN_LOSSES,
    GanLoss,
    clip_weights,
    discriminator_loss,
    gan_loss,
    generator_loss,
    generator_loss_minimax,
    hinge_discriminator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    pack,
    relativistic_average_discriminator_loss,
    relativistic_average_generator_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)
from minigen.losses.contractive import contractive_penalty, contractive_penalty_estimate
from minigen.losses.penalties import (
    GAN_PENALTIES,
    Penalty,
    dragan_penalty,
    gan_penalty,
    r1_penalty,
    r2_penalty,
    wgan_gp_penalty,
)
from minigen.losses.reconstruction import bernoulli_nll, gaussian_nll, squared_error
from minigen.losses.restoration import absolute_error, edge_loss, structural_loss, total_variation
from minigen.losses.sparsity import kl_sparsity, l1_sparsity
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
