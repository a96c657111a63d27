"""Files of sounds and images: read within bounds, checked, and written anew without their headers."""
