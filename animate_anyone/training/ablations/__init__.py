"""The ablation of the paper's table 3 in miniature: examples, training, paired differences."""
