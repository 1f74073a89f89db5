"""The bytes of images: in files, or in an S3-compatible store; start at `files.py`."""
