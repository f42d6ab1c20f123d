"""Detection loss: anchor targets, box and class losses, distillation."""
