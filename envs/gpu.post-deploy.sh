# Snakemake runs this from the working directory, in the environment that it made from gpu.yaml.
bash envs/install.sh gpu
