"""Model files that are safe to load and never half written."""

from pellucid.persistence.file import ModelFileError, read_model_file, write_model_file

__all__ = ["ModelFileError", "read_model_file", "write_model_file"]
