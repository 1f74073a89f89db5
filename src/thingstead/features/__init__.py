"""The rules of the platform, one folder per feature; no technology is named here."""
