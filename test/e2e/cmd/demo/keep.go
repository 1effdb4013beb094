package main

import (
	"context"
	"os/exec"
	"strconv"
	"time"
)

// restartAfter is about how long a kubelet waits before it restarts a container.
const restartAfter = 2 * time.Second

// again declares the samples again, for the user to try things with.
func (d *demo) again(ctx context.Context) error {
	d.out.heading("Again, and left running")
	if err := d.applySamples(ctx); err != nil {
		return err
	}
	for _, name := range []string{writer, reader} {
		err := d.out.check(ctx, "apitoken/"+name+" is Ready", func() (string, error) { return d.firstCredential(ctx, name) })
		if err != nil {
			return err
		}
	}
	return nil
}

// wait leaves everything running until an interrupt.
func (d *demo) wait(ctx context.Context) {
	d.out.heading("Everything runs until Ctrl-C. In another terminal, in this directory:")
	if _, err := exec.LookPath("kubectl"); err != nil {
		d.out.print("\n  # kubectl is not installed; this downloads or builds it\n  export PATH=$PATH:$(hack/controlplane/build.sh kubectl)\n")
	}
	d.out.print(d.suggestions())
	for {
		select {
		case <-ctx.Done():
			d.out.print("\nStopping everything.\n")
			return
		case <-d.running.exited:
		}
		d.out.print("The operator ended: " + d.running.ended().Error() + ". Starting it again, as a kubelet would.\n")
		select {
		case <-ctx.Done():
		case <-time.After(restartAfter):
			p, err := d.operator.start(ctx)
			if err == nil {
				d.running = p
			} else if ctx.Err() == nil {
				d.out.print("The operator does not start: " + err.Error() + "\n" + d.operator.tail(logLines, d.secrets) + "\n")
			}
		}
	}
}

// suggestions are commands that work without changes.
func (d *demo) suggestions() string {
	pid := strconv.Itoa(d.running.cmd.Process.Pid)
	return `
  export KUBECONFIG=` + d.kubeconfig() + `
  kubectl get apitoken-operator --all-namespaces        # every ApiToken and provider
  kubectl -n ` + team + ` get apitokens -o wide
  kubectl -n ` + team + ` describe apitoken ` + writer + `            # the ledger and the events
  kubectl explain apitoken.spec.rotation

  # Rotate now
  kubectl -n ` + team + ` patch apitoken ` + writer + ` --type=merge -p '{"spec":{"rotation":{"generation":1}}}'

  # Use the credential as a pod does
  eval "$(kubectl -n ` + team + ` get secret ` + writerSecret + ` -o go-template='{{range $k, $v := .data}}export {{$k}}={{$v | base64decode}}{{"\n"}}{{end}}')"
  aws s3 cp LICENSE s3://` + bucket + `/ && aws s3 ls s3://` + bucket + `
  aws s3 ls s3://` + otherBucket + `                         # AccessDenied

  # Delete the Secret, kill the operator, revoke the access. If the operator was minting when it
  # was killed, the last command can take two minutes: that request must no longer take effect.
  kubectl -n ` + team + ` delete secret ` + writerSecret + `
  kill -9 ` + pid + `        # the demo restarts it; it works once the lease of the killed process has expired
  kubectl -n ` + team + ` delete apitoken ` + writer + `

  The operator's log:      ` + d.operator.logFile + `
  Its metrics:             curl http://` + d.running.metrics + `/metrics
  S3 and IAM:              ` + d.gateway.S3Endpoint + ` and ` + d.gateway.IAMEndpoint + `

`
}
