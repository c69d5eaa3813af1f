// A Storage SCP: node receive.js PORT [STATUS...]
// Answers each C-STORE with the next status (hexadecimal), and success when there are none left;
// prints a line for each, `came: ` and its SOP Instance UID and the SHA-256 of its pixel data.
const { createHash } = require('crypto');
const { Server, Scp, constants, responses } = require('dcmjs-dimse');

const [port, ...statuses] = process.argv.slice(2);
const { PresentationContextResult, Status } = constants;

class StorageScp extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      context.setResult(PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    }
    this.sendAssociationAccept();
  }

  cStoreRequest(request, callback) {
    const pixels = Buffer.from(request.getDataset().getElement('PixelData')[0]);
    const digest = createHash('sha256').update(pixels).digest('hex');
    console.log(`came: ${request.getAffectedSopInstanceUid()} ${digest}`);
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(statuses.length ? parseInt(statuses.shift(), 16) : Status.Success);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

new Server(StorageScp).listen(Number(port));
