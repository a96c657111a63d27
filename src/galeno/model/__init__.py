"""What a trained model is and how it answers."""
