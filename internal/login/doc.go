// Package login remembers which services a person works with, and as whom: what
// "entente context" and "entente login" write, and every client verb reads.
//
// It is a room of its own because what stands in its two files decides where
// secrets are sent. One file names services, with the CA of each copied into it,
// so that a context is whole: nothing of it is picked up from the shell, and what
// the shell is set up for (Azure, or another service) is never sent to it unasked.
// Secrets stand in a file apart, each bound to the service and the client that it
// was given for, so that an edited address gets none.
//
// Azure is asked through azidentity, as its own tools do; a service of one's own
// through the sources of package client, because Microsoft's library asks a
// Microsoft host about every other authority first.
package login
