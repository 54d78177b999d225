module rie/layers

go 1.19
