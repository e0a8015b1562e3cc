"""Training in torch: U-Nets, augmentation, loss, loop, checkpoints."""
