"""The site: pages side by side under one header, and how they are launched."""
