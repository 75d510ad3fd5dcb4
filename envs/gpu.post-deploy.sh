# Snakemake runs this from the working directory, in the environment that it made from gpu.yaml. It makes
# the environment anew when this file changes: `make lock` writes the checksum of the lock here.
bash envs/install.sh gpu 3db34761f3c486c320d45d98f32b2851d11c027dcb214b351017cea7736554db
