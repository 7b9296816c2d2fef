"""What several tests share: servers, peers and disks. Real ones."""
