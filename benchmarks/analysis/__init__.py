"""What stored predictions and shipped weights show: conventions, failures, figures."""
