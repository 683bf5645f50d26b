"""The parts of `webtorch.utils.benchmark`, where PyTorch has them."""
