"""What touches ComfyUI itself: its modules, folders, sockets and tensor layout."""
