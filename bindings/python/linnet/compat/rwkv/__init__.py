"""The interface of PyPI's `rwkv`, the reference package: `model.RWKV` and `utils.PIPELINE`."""
