"""Letters as mails: written from templates, and carried out of the house."""
