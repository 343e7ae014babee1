"""What every front end shares: schema, values, prompt, check, run. Needs sqlglot alone."""
