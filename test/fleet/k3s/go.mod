module fleet.test/k3s

go 1.19
