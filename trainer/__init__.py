"""Fine-tuning: data, packing, fit, measure, sweep, export. `trainer --help` needs no torch."""
