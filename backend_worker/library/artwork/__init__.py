"""Artwork: the cover store, thumbnails, and the pictures that lie in the music folders."""

# The largest picture that is taken from a folder or from the internet, or made smaller.
MAX_PICTURE_BYTES = 20 * 1024 * 1024
THUMBNAIL_SIZES = (500, 150)  # pixels, the longest side
