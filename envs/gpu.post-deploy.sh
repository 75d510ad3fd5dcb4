# Snakemake runs this from the working directory, in the environment that it made from gpu.yaml. It makes
# the environment anew when this file changes: `make lock` writes the checksum of the lock here.
bash envs/install.sh gpu 8e164bcd2838d3fffd633672a2d0d5c774d657893b22d62c7e5de7719a70c4d9
