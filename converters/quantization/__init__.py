"""Post-training quantization: calibration, GPTQ, output ranges, mixed precision."""
