"""The networks of the systems, one file each. What trains them is in `minigen.training`."""

from minigen.models.autoencoder import ConvAutoencoder, DenseAutoencoder, TiedAutoencoder
from minigen.models.gan import ConvDiscriminator, ConvGenerator
from minigen.models.vae import VAE, ConvVAE, DenseVAE
