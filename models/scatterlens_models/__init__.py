"""The science: frames, networks, the simulator, training, evaluation and bundles."""
