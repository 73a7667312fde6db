"""The networks: denoising UNet and ReferenceNet (one class), motion modules, Pose Guider."""
