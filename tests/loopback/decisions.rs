//! The decisions of the handshake, each as a peer sees it.
