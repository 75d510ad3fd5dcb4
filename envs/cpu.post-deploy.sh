# Snakemake runs this from the working directory, in the environment that it made from cpu.yaml. It makes
# the environment anew when this file changes: `make lock` writes the checksum of the lock here.
bash envs/install.sh cpu f8154cbf6ad00145feeaf83926ffda5e7fe690b45b272b1871ac78902dc22358
