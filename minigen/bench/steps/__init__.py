"""Training steps to be measured: seven models in minigen (`ours`) and in PyTorch (`theirs`, `torch_networks`)."""

MODELS = ("dcgan", "gan2d", "conv-vae", "dense-autoencoder", "conv-autoencoder", "restoration-gan", "critic")
