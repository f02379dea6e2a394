"""What to train with a number of device hours: sizes and tokens by laws of the loss."""
