"""The losses of the systems, one file per family: each a plain function with its formula. What is returned is minimized."""

from minigen.losses.adversarial import discriminator_loss, generator_loss, generator_loss_minimax
from minigen.losses.reconstruction import bernoulli_nll, squared_error
from minigen.losses.variational import kl_to_standard_normal, negative_elbo, reparametrize
