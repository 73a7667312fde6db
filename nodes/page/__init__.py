"""The server's part of the page: routes, downloads, previews and events."""
