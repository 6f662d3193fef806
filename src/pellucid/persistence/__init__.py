"""Model files and checkpoints that are safe to load and never half written."""

from pellucid.persistence.checkpoint_folder import CheckpointFolder
from pellucid.persistence.file import ModelFileError, read_model_file, write_model_file

__all__ = ["CheckpointFolder", "ModelFileError", "read_model_file", "write_model_file"]
